// A job as it moves: server-sent events into the bar, the line below it and the head; at its end the page shows what
// came of it.
for (const place of document.querySelectorAll("[data-follow]")) {
  const bar = place.querySelector("progress");
  const line = place.querySelector("[role=status]");
  const head = document.querySelector("[data-state]");
  const number = new Intl.NumberFormat("en");
  const events = new EventSource(place.dataset.follow);
  let began = null;
  const show = (job) => {
    const { done, total } = job.bytes;
    if (total > 0) bar.value = Math.min(100, (done * 100) / total);
    const now = performance.now();
    began ??= { at: now, done };
    const speed = (done - began.done) / Math.max(0.001, (now - began.at) / 1000);
    const words = place.dataset.items ?? "items";
    const items = job.items.total > 0 ? ` of ${number.format(job.items.total)} ${words}` : "";
    const share = total > 0 ? `${Math.floor(bar.value)} %${items} · ` : "";
    const left = speed > 0 && total > done ? ` · ${number.format(Math.round(speed / 1e6))} MB/s, ${number.format(Math.ceil((total - done) / speed))} s left` : "";
    const state = job.state.replaceAll("_", " ");
    if (head) head.textContent = state[0].toUpperCase() + state.slice(1);
    line.textContent = `${share}${number.format(job.records)} records${left}`;
  };
  events.addEventListener("progress", (event) => show(JSON.parse(event.data)));
  events.addEventListener("end", (event) => { show(JSON.parse(event.data)); events.close(); location.reload(); });
}
