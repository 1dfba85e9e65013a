(function () {
  "use strict";
  const maps = JSON.parse(document.getElementById("cell-maps").textContent);
  const place = document.getElementById("cell-maps-here");
  if (!maps.length) return;
  const choice = document.createElement("select");
  choice.setAttribute("aria-label", "what the colours show");
  for (const name of Object.keys(maps[0].quantities)) choice.add(new Option(name, name));
  const said = document.createElement("p");
  said.className = "said";
  said.textContent = "Point at a cell.";
  place.append(choice, said);
  // Dark to light for what is never negative; blue, white, red about zero for what changes sign.
  const ramp = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
  const change = [[33, 102, 172], [146, 197, 222], [247, 247, 247], [244, 165, 130], [178, 24, 43]];
  function colour(share, stops) {
    const at = Math.min(Math.max(share, 0), 1) * (stops.length - 1), k = Math.min(Math.floor(at), stops.length - 2);
    return stops[k].map((low, c) => Math.round(low + (at - k) * (stops[k + 1][c] - low)));
  }
  function draw() {
    for (const map of maps) {
      const values = map.quantities[choice.value], known = values.filter((x) => x !== null);
      let low = known.reduce((a, b) => Math.min(a, b), Infinity), high = known.reduce((a, b) => Math.max(a, b), -Infinity);
      const signed = low < 0, most = Math.max(-low, high) || 1;
      if (signed) { low = -most; high = most; }
      const image = map.context.createImageData(map.columns, map.rows);
      values.forEach((x, n) => {
        const rgb = x === null ? [255, 0, 255] : colour((x - low) / ((high - low) || 1), signed ? change : ramp);
        image.data.set([...rgb, 255], 4 * n);
      });
      map.context.putImageData(image, 0, 0);
      const bar = document.createElement("span"), stops = signed ? change : ramp;
      bar.className = "bar";
      bar.style.background = "linear-gradient(to right, " + stops.map((rgb) => "rgb(" + rgb + ")").join(", ") + ")";
      map.scale.replaceChildren(
        map.title + ", " + choice.value + ": " + low.toPrecision(3) + " ", bar,
        " " + high.toPrecision(3) + (known.length < values.length ? "; magenta: not known" : ""));
    }
  }
  for (const map of maps) {
    const canvas = document.createElement("canvas");
    canvas.width = map.columns; canvas.height = map.rows;
    canvas.className = "cells";
    canvas.style.aspectRatio = map.columns + " / " + map.rows;
    map.context = canvas.getContext("2d");
    map.scale = document.createElement("p");
    map.scale.className = "small";
    place.append(map.scale, canvas);
    canvas.addEventListener("mousemove", (event) => {
      const box = canvas.getBoundingClientRect();
      const column = Math.min(Math.floor((event.clientX - box.left) / box.width * map.columns), map.columns - 1);
      const row = Math.min(Math.floor((event.clientY - box.top) / box.height * map.rows), map.rows - 1);
      if (row < 0 || column < 0) return;
      const parts = Object.entries(map.quantities).map(([name, values]) => {
        const x = values[row * map.columns + column];
        return name + " " + (x === null ? "not known" : x);
      });
      said.textContent = map.title + ", word line " + row + ", bit line " + column + " (" + (column % 2 ? "minus" : "plus") + "): " + parts.join("; ");
    });
  }
  choice.addEventListener("change", draw);
  draw();
})();
