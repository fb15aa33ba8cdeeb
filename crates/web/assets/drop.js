// Files dropped on the form or chosen in it are sent one by one, each with its progress; one that fails leaves the
// others alone. Then the import, or the list of them, is shown.
const form = document.getElementById("drop");
const files = form.querySelector("input[type=file]");
const button = form.querySelector("button");
const list = document.getElementById("sending");
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
let sending = false;

for (const name of ["dragenter", "dragover"]) {
  form.addEventListener(name, (event) => { event.preventDefault(); form.classList.add("is-over"); });
}
form.addEventListener("dragleave", () => form.classList.remove("is-over"));
form.addEventListener("drop", (event) => {
  event.preventDefault();
  form.classList.remove("is-over");
  if (!sending && event.dataTransfer.files.length > 0) files.files = event.dataTransfer.files;
});
addEventListener("beforeunload", (event) => { if (sending) event.preventDefault(); });

// Sends one file; what the server says of it.
function send(file, line) {
  const bar = line.querySelector("progress");
  const words = line.querySelector("small");
  const body = new FormData(form);
  body.delete("file");
  body.append("file", file);
  const began = performance.now();
  return new Promise((done) => {
    const request = new XMLHttpRequest();
    request.open("POST", form.getAttribute("action"));
    request.setRequestHeader("accept", "application/json");
    request.upload.addEventListener("progress", (event) => {
      bar.value = event.loaded;
      bar.max = event.total;
      const seconds = (performance.now() - began) / 1000;
      const speed = event.loaded / Math.max(seconds, 0.001);
      const left = Math.ceil((event.total - event.loaded) / speed);
      words.textContent = event.loaded < event.total
        ? `${number.format(event.loaded / 1e6)} of ${number.format(event.total / 1e6)} MB, ${left} s left`
        : "Uploaded, waiting for the server";
    });
    const fail = (text) => done({ jobs: [], troubles: [text] });
    request.addEventListener("error", () => fail("The connection was lost. Try again."));
    request.addEventListener("load", () => {
      try {
        const said = JSON.parse(request.responseText);
        if (said.jobs) done(said); else fail(said.detail ?? said.title);
      } catch {
        fail(`The server answered ${request.status}.`);
      }
    });
    request.send(body);
  });
}

function lineOf(file) {
  const line = document.createElement("li");
  const name = document.createElement("b");
  name.textContent = file.name;
  const bar = document.createElement("progress");
  bar.setAttribute("aria-label", `Upload of ${file.name}`);
  bar.value = 0;
  const words = document.createElement("small");
  words.textContent = "Waiting";
  line.append(name, bar, words);
  return line;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (sending) return;
  sending = true;
  button.setAttribute("aria-disabled", "true");
  button.textContent = "Uploading…";
  const chosen = [...files.files];
  const lines = chosen.map(lineOf);
  list.hidden = false;
  list.replaceChildren(...lines);
  const jobs = [];
  let failed = 0;
  for (const [index, file] of chosen.entries()) {
    const said = await send(file, lines[index]);
    const words = lines[index].querySelector("small");
    jobs.push(...said.jobs);
    if (said.troubles.length > 0) {
      failed += 1;
      lines[index].querySelector("progress").remove();
      words.className = "bad";
      words.setAttribute("role", "alert");
      words.textContent = said.troubles.join(" ");
    } else {
      words.textContent = "Uploaded";
    }
  }
  sending = false;
  if (failed === 0) {
    location.assign(jobs.length === 1 ? `/imports/${jobs[0]}` : "/import");
    return;
  }
  button.removeAttribute("aria-disabled");
  button.textContent = "Import";
  document.dispatchEvent(new Event("retort:look"));
});
