import { runSeed } from "./runner.ts";
const from = Number(Deno.args[0] ?? 1), n = Number(Deno.args[1] ?? 1);
const t = performance.now();
for (let s = from; s < from + n; s++) {
  const t0 = performance.now();
  const o = await runSeed(s, { trace: n === 1 });
  if (n === 1) console.log(o.trace.join("\n"));
  console.log(s, o.failure ?? "ok", (performance.now() - t0).toFixed(0), JSON.stringify(o.totals));
}
console.log(((performance.now() - t) / n).toFixed(1), "ms per seed");
