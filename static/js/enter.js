// In a form with data-enter="stays" the Enter of a one-line field sends nothing: such a form is long, and starts work that
// costs. In a field that is joined with a button it presses that button.

const PRESSED = "button, [type=button], [type=submit], [type=checkbox], [type=radio], [type=file], [type=image], [type=reset]";

document.addEventListener("keydown", (event) => {
  const { target } = event;
  if (event.key !== "Enter" || event.defaultPrevented || target.tagName !== "INPUT" || target.matches(PRESSED)) return;
  if (!target.form?.matches("[data-enter=stays]")) return;
  event.preventDefault();
  if (target.value.trim()) target.closest(".joined")?.querySelector("button")?.click();
});
