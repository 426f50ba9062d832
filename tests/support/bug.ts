/** Preloaded into a program: SIGUSR2 throws an error in it, SIGALRM rejects a promise. */

Deno.addSignalListener("SIGUSR2", () => {
  throw new Error("thrown on purpose");
});
Deno.addSignalListener("SIGALRM", () => {
  Promise.reject(new Error("rejected on purpose"));
});
