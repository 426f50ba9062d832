/** Conversations of real processes: reactions, edits, answers and the topic. */

import { NOTES } from "../conversations/notes.ts";
import { testConversations } from "../support/programs.ts";

testConversations(NOTES);
