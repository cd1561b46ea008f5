// The form of a new job as it comes back from the server, put in the place of the one on the page.

import { leadToErrors } from "./form-errors.js";
import { announce, text } from "./texts.js";

/** Posts `form` with further fields; the answer's page, or null where there was none. */
export async function post(form, fields, change = (data) => data) {
  const data = change(new FormData(form));
  for (const [name, value] of Object.entries(fields)) data.set(name, value);
  form.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.action || location.href, { method: "POST", body: data });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    return { ok: answer.ok, page };
  } catch {
    announce(text("form_lost"));
    return null;
  } finally {
    form.removeAttribute("aria-busy");
  }
}

/** The form of `page` in the place of `form`; a page without one says why in its own words. */
export function replaceForm(form, page) {
  const fresh = page.getElementById(form.id);
  if (!fresh) {
    document.getElementById("messages").replaceChildren(...[...(page.querySelector("main") ?? page.body).childNodes]);
    document.getElementById("messages").scrollIntoView({ block: "center" });
    return;
  }
  const known = document.importNode(fresh, true);
  form.replaceWith(known);
  window.htmx?.process(known);
  const wrong = known.querySelector("[role=alert], [aria-invalid=true]");
  if (!wrong) return;
  announce(wrong.textContent.trim());
  leadToErrors(known);
}
