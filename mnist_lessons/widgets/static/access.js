// What ipywidgets leave out for people who use the keyboard or a screen reader, and for
// those whose kernel is gone.

const LOST =
  "✗ This piece has lost its kernel, so nothing in it reacts any more. " +
  "Run its cell again, after the cells above it.";

function render({ model, el }) {
  let frame = 0;
  let observer = null;
  let still = null; // JupyterLab's output before this one, which stands in for it
  let piece = null;

  function nameSliders() {
    for (const handle of piece.querySelectorAll(".widget-slider [role=slider]")) {
      const label = handle.closest(".widget-slider").querySelector(".widget-label");
      handle.setAttribute("aria-label", label.textContent);
    }
  }

  // JupyterLab would change cells with the arrow keys of menus and radio buttons, and
  // cut a cell with an x; Shift+Enter and what is pressed with Ctrl stay JupyterLab's
  function keep(event) {
    const command = event.ctrlKey || event.altKey || event.metaKey;
    if (!command && !(event.shiftKey && event.key === "Enter")) event.stopPropagation();
  }

  function warn() {
    if (el.textContent) return;
    for (let e = el; e !== piece; e = e.parentElement) e.style.display = "block";
    el.setAttribute("role", "alert");
    el.textContent = LOST;
  }

  // a kernel that was restarted is known to ipywidgets; that there is none any more
  // shows only when something is sent to it
  function probe() {
    try {
      model.send({});
    } catch {
      warn();
    }
  }

  function look() {
    nameSliders();
    if (piece.classList.contains("jupyter-widgets-disconnected")) warn();
  }

  function begin() {
    piece = el.closest(".mnist-lessons");
    if (!piece) {
      frame = requestAnimationFrame(begin); // not yet part of the page
      return;
    }
    piece.addEventListener("keydown", keep);
    for (const name of ["keydown", "pointerdown"]) {
      piece.addEventListener(name, probe, { capture: true });
    }
    still = piece.closest(".jp-OutputArea-child")?.previousElementSibling;
    if (still) still.style.display = "none";
    look();
    observer = new MutationObserver(look);
    const attributeFilter = ["class"];
    observer.observe(piece, { childList: true, subtree: true, attributeFilter });
  }

  begin();
  return () => {
    cancelAnimationFrame(frame);
    observer?.disconnect();
    if (still) still.style.display = "";
  };
}

export default { render };
