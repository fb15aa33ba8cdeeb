// Files dropped on the form are chosen in it.
const form = document.getElementById("drop");
const files = form.querySelector("input[type=file]");
for (const name of ["dragenter", "dragover"]) {
  form.addEventListener(name, (event) => { event.preventDefault(); form.classList.add("is-over"); });
}
form.addEventListener("dragleave", () => form.classList.remove("is-over"));
form.addEventListener("drop", (event) => {
  event.preventDefault();
  form.classList.remove("is-over");
  if (event.dataTransfer.files.length > 0) files.files = event.dataTransfer.files;
});
form.addEventListener("submit", () => {
  const button = form.querySelector("button");
  button.textContent = "Sending…";
  button.setAttribute("aria-busy", "true");
});
