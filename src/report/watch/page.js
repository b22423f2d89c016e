(() => {
  const box = document.querySelector(".lanes .scroll");
  const svg = box.querySelector("svg");
  const axis = svg.querySelector(".axis");
  const length = Number(svg.dataset.length);
  const y = Number(svg.dataset.axis);
  const units = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];
  let zoom = 1;

  function duration(ns) {
    if (ns === 0) return "0";
    const [by, unit] = units.find(([by]) => ns >= by);
    return Number((ns / by).toPrecision(6)) + " " + unit;
  }

  // Marks at round times, as many as there is room for, in the visible part alone.
  function mark() {
    const wanted = length / zoom / Math.max(3, box.clientWidth / 110);
    const power = Math.pow(10, Math.max(0, Math.floor(Math.log10(wanted))));
    const step = power * [1, 2, 5, 10].find((factor) => power * factor >= wanted);
    const from = (box.scrollLeft / box.scrollWidth) * length;
    let marks = `<line x1="0" x2="100%" y1="${y}" y2="${y}" stroke="#888"/>`;
    for (let at = Math.floor(from / step) * step; at <= Math.min(from + length / zoom, length); at += step) {
      const x = (at / length) * 100;
      const anchor = at === 0 ? "start" : x > 97 ? "end" : "middle";
      marks += `<line x1="${x}%" x2="${x}%" y1="${y}" y2="${y + 5}" stroke="#888"/>`;
      marks += `<text x="${x}%" y="${y + 17}" font-size="10" text-anchor="${anchor}">${duration(at)}</text>`;
    }
    axis.innerHTML = marks;
  }

  // Zooms by the width of the drawing; what is at `place` stays there.
  function scale(by, place) {
    const share = (box.scrollLeft + place) / box.scrollWidth;
    zoom = Math.min(400, Math.max(1, zoom * by));
    svg.style.width = zoom * 100 + "%";
    box.scrollLeft = share * box.scrollWidth - place;
    mark();
  }

  box.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    scale(event.deltaY < 0 ? 1.25 : 0.8, event.clientX - box.getBoundingClientRect().left);
  }, { passive: false });
  box.addEventListener("scroll", mark);
  addEventListener("resize", mark);
  for (const button of document.querySelectorAll(".zoom button")) {
    button.onclick = () => scale(Number(button.value), box.clientWidth / 2);
  }
  mark();
})();
