// The Export Manager, quick: a mark is kept as it is made, a range with Shift, more rows as the end comes into view.
const form = document.getElementById("choice");
const standing = document.getElementById("standing");
const number = new Intl.NumberFormat("en");
let last = null;
let waiting = Promise.resolve();

const boxes = () => [...form.querySelectorAll("input[name=id]")];

function mark(box, chosen) {
  box.checked = chosen;
  box.closest("tr").classList.toggle("is-chosen", chosen);
}

function tell({ chosen, hidden, matching }) {
  const words = document.createElement("strong");
  words.textContent = `${number.format(chosen)} chosen`;
  const rest = ` · ${number.format(matching)} match` +
    (hidden > 0 ? ` · ${number.format(hidden)} chosen are hidden by this filter` : "");
  standing.replaceChildren(words, rest);
}

// Requests go one after another, so that the last mark is the one that counts.
function send(fields) {
  const body = new URLSearchParams();
  for (const name of ["csrf", "search", "from", "to", "type", "status"]) {
    body.append(name, form.elements[name].value);
  }
  for (const [name, value] of fields) body.append(name, value);
  waiting = waiting.then(async () => {
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body, headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail ?? answer.statusText);
    tell(await answer.json());
  }).catch((error) => { standing.textContent = `Not kept: ${error.message}. Load the page again.`; });
  return waiting;
}

function keep(changed) {
  return send([
    ["action", "rows"],
    ...changed.map((box) => ["shown", box.value]),
    ...changed.filter((box) => box.checked).map((box) => ["id", box.value]),
  ]);
}

function toggle(box, chosen, range) {
  let changed = [box];
  if (range && last) {
    const all = boxes();
    const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
    if (from >= 0) changed = all.slice(from, to + 1);
  }
  for (const one of changed) mark(one, chosen);
  last = box;
  keep(changed);
}

let shift = false;
form.addEventListener("click", (event) => {
  shift = event.shiftKey;
  const row = event.target.closest("tbody tr");
  if (!row || event.target.closest("a, button, input, label")) return;
  const box = row.querySelector("input[name=id]");
  toggle(box, !box.checked, event.shiftKey);
});
form.addEventListener("change", (event) => {
  if (event.target.name === "id") toggle(event.target, event.target.checked, shift);
});
form.addEventListener("submit", (event) => {
  const action = event.submitter?.value;
  if (action !== "all" && action !== "none") return;
  event.preventDefault();
  for (const box of boxes()) mark(box, action === "all");
  send([["action", action]]);
});

// The next page is appended when the end of this one comes into view.
const more = document.getElementById("more");
if (more && "IntersectionObserver" in window) {
  let loading = false;
  const observer = new IntersectionObserver(async ([entry]) => {
    if (!entry.isIntersecting || loading || !more.isConnected) return;
    loading = true;
    await waiting;
    const answer = await fetch(more.href);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    form.querySelector("tbody").append(...page.querySelectorAll("#choice tbody tr"));
    const next = page.getElementById("more");
    if (next) more.href = next.getAttribute("href"); else more.remove();
    loading = false;
  }, { rootMargin: "600px" });
  observer.observe(more);
}
document.documentElement.classList.add("scripted");
