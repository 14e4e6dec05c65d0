"use strict";

// A number is copied by its button. Pages without a secure origin have no clipboard API: there the text is selected.
document.addEventListener("click", async (event) => {
    const button = event.target.closest(".fen-copy");
    if (!button) {
        return;
    }
    event.preventDefault();
    if (!navigator.clipboard) {
        window.getSelection().selectAllChildren(button.previousElementSibling);
        return;
    }
    await navigator.clipboard.writeText(button.dataset.copy);
    button.classList.add("fen-copied");
    setTimeout(() => button.classList.remove("fen-copied"), 1200);
});
