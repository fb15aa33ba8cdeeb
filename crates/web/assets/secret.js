// The secret of a link comes after the `#` of its address, which browsers send to nobody. It goes into the form and out
// of the address, so that neither a log nor the history of the browser keeps it.
const form = document.getElementById("secret");
const secret = decodeURIComponent(location.hash.slice(1));
if (secret) {
  form.elements.secret.value = secret;
  history.replaceState(null, "", location.pathname);
  document.documentElement.classList.add("scripted");
  if ("send" in form.dataset) form.requestSubmit();
}
