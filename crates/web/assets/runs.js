// The history of a copilot or recipe: how many runs are selected, as they are.
import { rowsOf } from "/assets/rows.js";

const form = document.getElementById("runs");
const standing = document.getElementById("standing");
const number = new Intl.NumberFormat("en");
const rest = standing.lastChild.textContent;

rowsOf(form, () => {
  const selected = form.querySelectorAll("input[type=hidden][name=id], input[name=id]:checked").length;
  const words = document.createElement("strong");
  words.textContent = `${number.format(selected)} selected`;
  const most = Number(form.dataset.most);
  const much = selected > most ? ` · You can select up to ${most} runs one by one. For more, select all or use a filter and a limit.` : "";
  standing.replaceChildren(words, rest + much);
});
