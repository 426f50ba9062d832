/** Conversations of real processes: what operators of a server do. */

import { OPERATORS } from "../conversations/operators.ts";
import { testConversations } from "../support/programs.ts";

testConversations(OPERATORS);
