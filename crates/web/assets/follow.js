// A job as it moves: server-sent events into the bar and the line below it; at its end the page shows what came of it.
for (const place of document.querySelectorAll("[data-follow]")) {
  const bar = place.querySelector("progress");
  const line = place.querySelector("[role=status]");
  const number = new Intl.NumberFormat("en");
  const events = new EventSource(place.dataset.follow);
  let began = null;
  const show = (job) => {
    const { done, total } = job.bytes;
    if (total > 0) bar.value = Math.min(100, (done * 100) / total);
    const now = performance.now();
    began ??= { at: now, done };
    const speed = (done - began.done) / Math.max(0.001, (now - began.at) / 1000);
    const items = job.items.total > 0 ? `${number.format(job.items.done)} of ${number.format(job.items.total)} ${place.dataset.items ?? "items"} · ` : "";
    const left = speed > 0 && total > done ? ` · ${number.format(Math.round(speed / 1e6))} MB/s, ${number.format(Math.ceil((total - done) / speed))} s left` : "";
    line.textContent = `${job.state.replaceAll("_", " ")} · ${items}${number.format(job.records)} records${left}`;
  };
  events.addEventListener("progress", (event) => show(JSON.parse(event.data)));
  events.addEventListener("end", (event) => { show(JSON.parse(event.data)); events.close(); location.reload(); });
}
