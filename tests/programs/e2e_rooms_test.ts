/** Conversations of real processes: several rooms of one client. */

import { ROOMS } from "../conversations/rooms.ts";
import { testConversations } from "../support/programs.ts";

testConversations(ROOMS);
