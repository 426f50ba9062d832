/** Conversations of real processes: one's own history. */

import { HISTORY } from "../conversations/history.ts";
import { testConversations } from "../support/programs.ts";

testConversations(HISTORY);
