/** Conversations of real processes: who may join. */

import { SERVER } from "../conversations/server.ts";
import { testConversations } from "../support/programs.ts";

testConversations(SERVER);
