/** Conversations of real processes: reactions, edits, answers and the topic. */

import { FILES } from "../conversations/files.ts";
import { testConversations } from "../support/programs.ts";

testConversations(FILES);
