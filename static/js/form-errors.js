// After a refused form the first field that needs another value has the focus, and its section is open.

function focusFirst() {
  const field = document.querySelector("[aria-invalid=true]");
  if (!field) return;
  field.closest("details")?.setAttribute("open", "");
  field.focus();
}

focusFirst();
