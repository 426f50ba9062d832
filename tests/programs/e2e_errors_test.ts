/** Conversations of real processes: bad input. */

import { ERRORS } from "../conversations/errors.ts";
import { testConversations } from "../support/programs.ts";

testConversations(ERRORS);
