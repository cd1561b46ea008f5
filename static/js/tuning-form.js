// What the form of a tuning job adds to jobs.js: a name that is declared fills in its row, a metric its direction.

function option(list, value) {
  return [...document.querySelectorAll(`#${list} option`)].find((one) => one.value === value);
}

// Only what is still empty is filled in; a row that was worked on stays as it is.
function fillRow(field) {
  const row = field.closest("[data-row]");
  const declared = option("declared-names", field.value.trim());
  if (!row || !declared) return;
  const part = (name) => row.querySelector(`[data-parameter="${name}"]`);
  const touched = ["value", "min", "max", "values"].some((name) => part(name).value);
  if (touched) return;
  for (const name of ["kind", "min", "max", "scaling", "values", "value"]) part(name).value = declared.dataset[name];
}

// A source that was chosen brings how it was run.
function fillScript(field) {
  const chosen = option("recent-sources", field.value.trim());
  if (!chosen) return;
  document.getElementById("framework").value = chosen.dataset.framework;
  document.getElementById("entry_point").value = chosen.dataset.entry;
}

function setDirection(direction) {
  if (direction) document.getElementById("objective_type").value = direction;
}

document.addEventListener("change", (event) => {
  const { target } = event;
  if (target.matches("[data-parameter=name]")) fillRow(target);
  if (target.id === "source") fillScript(target);
  if (target.id === "objective_metric") setDirection(option("metric-names", target.value.trim())?.dataset.direction);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-objective]");
  if (!button) return;
  const field = document.getElementById("objective_metric");
  field.value = button.dataset.objective;
  setDirection(button.dataset.direction);
  field.dispatchEvent(new Event("change", { bubbles: true }));
});
