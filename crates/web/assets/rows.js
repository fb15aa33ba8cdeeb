// Rows of a list: selected by a click anywhere on them, a range with Shift, or all of the page by the box in the head.
export function rowsOf(form, changed) {
  let last = null;
  let shift = false;
  const head = form.querySelector("thead [data-page]");
  const boxes = () => [...form.querySelectorAll("tbody input[name=id]:not(:disabled)")];
  const mark = (box, selected) => {
    box.checked = selected;
    box.closest("tr").classList.toggle("is-chosen", selected);
  };
  const markAll = (selected) => {
    for (const box of boxes()) mark(box, selected);
    show();
  };
  const show = () => {
    if (!head) return;
    const all = boxes();
    const selected = all.filter((box) => box.checked).length;
    head.checked = selected > 0 && selected === all.length;
    head.indeterminate = selected > 0 && selected < all.length;
  };
  const toggle = (box, selected, range) => {
    let some = [box];
    if (range && last) {
      const all = boxes();
      const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
      if (from >= 0) some = all.slice(from, to + 1);
    }
    for (const one of some) mark(one, selected);
    last = box;
    show();
    changed(some);
  };
  form.addEventListener("click", (event) => {
    shift = event.shiftKey;
    const row = event.target.closest("tbody tr");
    if (!row || event.target.closest("a, button, input, label")) return;
    const box = row.querySelector("input[name=id]:not(:disabled)");
    if (box) toggle(box, !box.checked, event.shiftKey);
  });
  form.addEventListener("change", (event) => {
    if (event.target.name === "id") toggle(event.target, event.target.checked, shift);
    if (event.target === head) {
      markAll(head.checked);
      changed(boxes());
    }
  });
  if (head) head.hidden = false;
  show();
  return { boxes, markAll };
}
