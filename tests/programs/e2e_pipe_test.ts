/** Conversations of real processes: pipe mode. */

import { PIPE } from "../conversations/pipe.ts";
import { testConversations } from "../support/programs.ts";

testConversations(PIPE);
