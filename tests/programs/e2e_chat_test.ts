/** Conversations of real processes: people talking. */

import { CHAT } from "../conversations/chat.ts";
import { testConversations } from "../support/programs.ts";

testConversations(CHAT);
