// A thumbnail of the gallery plays its film while the pointer or the focus is on it.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const box of document.querySelectorAll(".sphx-glr-thumbcontainer")) {
    const picture = box.querySelector("img");
    const film = document.createElement("video");
    film.src = picture.src.replace(
      /_images\/sphx_glr_(.+)_thumb\.\w+$/, "_static/made/gallery/$1.mp4");
    Object.assign(film, { muted: true, loop: true, preload: "none" });
    film.style.cssText = "display: none; width: 100%; object-fit: contain";
    picture.after(film);
    const show = (playing) => {
      picture.style.display = playing ? "none" : "";
      film.style.display = playing ? "" : "none";
    };
    const play = () => {
      // The picture stays until there is something else to see.
      if (picture.offsetHeight) film.style.height = `${picture.offsetHeight}px`;
      film.play().then(() => show(true), () => show(false));
    };
    const stop = () => {
      film.pause();
      show(false);
    };
    for (const event of ["pointerenter", "focusin"]) box.addEventListener(event, play);
    for (const event of ["pointerleave", "focusout"]) box.addEventListener(event, stop);
  }
});
