// Films stand still for readers who ask for less motion; controls let them play.
document.addEventListener("DOMContentLoaded", () => {
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const film of document.querySelectorAll("article video")) {
    film.controls = true;
    film.pause();
  }
});
