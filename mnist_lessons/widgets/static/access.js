// What ipywidgets leave out for people who use the keyboard or a screen reader.

function render({ el }) {
  let frame = 0;

  function nameSliders(piece) {
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

  let observer = null;

  function begin() {
    const piece = el.closest(".mnist-lessons");
    if (!piece) {
      frame = requestAnimationFrame(begin); // not yet part of the page
      return;
    }
    piece.addEventListener("keydown", keep);
    nameSliders(piece);
    observer = new MutationObserver(() => nameSliders(piece));
    observer.observe(piece, { childList: true, subtree: true });
  }

  begin();
  return () => {
    cancelAnimationFrame(frame);
    observer?.disconnect();
  };
}

export default { render };
