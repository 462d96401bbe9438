// Nine number fields in a square. Arrow keys left and right stay with the text inside a
// field; up and down step its value, as in every number field; Tab goes on.

function render({ model, el }) {
  const table = document.createElement("table");
  table.className = "mnist-kernel";
  table.dataset.lmSuppressShortcuts = "true"; // JupyterLab would take the keys
  const caption = table.createCaption();
  caption.textContent = "The kernel's nine weights";
  const fields = [];
  for (let row = 0; row < 3; row++) {
    const line = table.insertRow();
    for (let column = 0; column < 3; column++) {
      const field = document.createElement("input");
      field.type = "number";
      field.step = "0.5";
      field.setAttribute("aria-label", `weight in row ${row + 1}, column ${column + 1}`);
      field.addEventListener("input", send);
      line.insertCell().append(field);
      fields.push(field);
    }
  }

  function send() {
    const values = fields.map((field) => Number.parseFloat(field.value));
    if (values.some(Number.isNaN)) return; // half typed, such as a lone minus sign
    model.set("values", values);
    model.save_changes();
  }

  function show() {
    const values = model.get("values");
    fields.forEach((field, place) => {
      if (Number.parseFloat(field.value) !== values[place]) field.value = values[place];
      field.disabled = !model.get("editable");
    });
  }

  model.on("change:values", show);
  model.on("change:editable", show);
  show();
  el.append(table);
  return () => {
    model.off("change:values", show);
    model.off("change:editable", show);
  };
}

export default { render };
