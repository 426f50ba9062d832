/** Conversations of real processes: starting and ending. */

import { STARTING } from "../conversations/starting.ts";
import { testConversations } from "../support/programs.ts";

testConversations(STARTING);
