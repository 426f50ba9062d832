/** Conversations of real processes: servers and clients that die and come back. */

import { RECONNECT } from "../conversations/reconnect.ts";
import { testConversations } from "../support/programs.ts";

testConversations(RECONNECT);
