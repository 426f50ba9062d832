/** Loaded before a program: SIGUSR2 and SIGALRM make mistakes in it, which no program has on purpose. */

Deno.addSignalListener("SIGUSR2", () => {
  throw new Error("thrown on purpose");
});
Deno.addSignalListener("SIGALRM", () => {
  Promise.reject(new Error("rejected on purpose"));
});
