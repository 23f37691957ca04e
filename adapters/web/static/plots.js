/* global uPlot */

/** Draws the plots of a run: they share a time axis, which can be zoomed, and show the values under the pointer. */

/** Pixels between the pointer and a mark that it points at. */
const NEAR = 6;
const HEIGHT = 190;
const OVERVIEW_HEIGHT = 64;
const DAY_SECONDS = 86_400;
const SMALLEST_SECONDS = 1;
const COUNTS = [1, 2, 5]
  .flatMap((digit) => Array.from({ length: 12 }, (_, power) => digit * 10 ** power))
  .sort((a, b) => a - b);
const compact = new Intl.NumberFormat("en", { notation: "compact" });
const whole = new Intl.NumberFormat("en");
/** A line that stays at each value until the next one. */
const STEPS = { paths: uPlot.paths.stepped({ align: 1 }), points: { show: false }, width: 1 };
const hasZone = new Date().getTimezoneOffset() !== 0;

/** Return a color of the style sheet. */
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

/** Return a value as people read it. */
const written = (value, isMoney) => (isMoney ? (value / 100).toFixed(2) : whole.format(value));

/** Return a time as text, in UTC or in this browser's zone. */
function clock(seconds, step, zone) {
  const parts =
    step < DAY_SECONDS ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } : { month: "short", day: "numeric" };
  if (step < 60) parts.second = "2-digit";
  return new Intl.DateTimeFormat("en", { ...parts, timeZone: zone }).format(seconds * 1000);
}

/** Return the labels of the time axis: UTC, and the time of this browser's zone below it. */
function timeLabels(_, splits, axis, space, step) {
  return splits.map((at) => (hasZone ? `${clock(at, step, "UTC")}\n${clock(at, step)}` : clock(at, step, "UTC")));
}

/** Return the lines of a plot; of those that are stacked the highest is drawn first, so that all are visible. */
function linesOf({ series, is_stacked: isStacked }) {
  const lines = series.map(({ values }) => values);
  if (!isStacked) return lines;
  for (let number = lines.length - 2; number >= 0; number -= 1) {
    lines[number] = lines[number].map((value, place) => value + lines[number + 1][place]);
  }
  return lines;
}

/** All plots of a run, in a section of its page. */
export class RunPlots {
  #section;
  #data = null;
  #shape = "";
  #plots = [];
  #overview = null;
  /** The part of the time that is shown; null for all of it. */
  #zoomed = null;

  constructor(section) {
    this.#section = section;
    this.#draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#redraw());
    new ResizeObserver(() => this.#resize()).observe(section);
  }

  /** Show newer figures, with the same zoom. */
  update(fresh) {
    const data = JSON.parse(fresh.querySelector("#plot-data")?.textContent ?? "null");
    if (data === null && this.#data !== null) return;
    if (data === null || shapeOf(data) !== this.#shape) {
      const isTableOpen = this.#section.querySelector("details")?.open ?? false;
      this.#section.innerHTML = fresh.innerHTML;
      this.#draw(isTableOpen && this.#data !== null);
      return;
    }
    this.#data = data;
    for (const part of [".legend", "tbody"]) {
      const found = fresh.querySelectorAll(part);
      this.#section.querySelectorAll(part).forEach((old, place) => old.replaceChildren(...found[place].childNodes));
    }
    const drawings = fresh.querySelectorAll(".drawing");
    this.#section
      .querySelectorAll(".drawing")
      .forEach((drawing, place) => drawing.setAttribute("aria-label", drawings[place].getAttribute("aria-label")));
    this.#plots.forEach((plot, place) => plot.setData(this.#columnsOf(data.plots[place]), false));
    this.#overview.setData([data.times, data.submitted], false);
    this.#rescale();
  }

  #draw(isTableOpen = false) {
    for (const plot of this.#plots) plot.destroy();
    this.#overview?.destroy();
    this.#plots = [];
    this.#overview = null;
    this.#data = JSON.parse(this.#section.querySelector("#plot-data")?.textContent ?? "null");
    if (this.#data === null) return;
    this.#shape = shapeOf(this.#data);
    const figures = this.#section.querySelectorAll("figure.plot");
    this.#plots = this.#data.plots.map((_, number) => this.#drawn(number, figures[number]));
    this.#overview = this.#drawnOverview(this.#section.querySelector(".overview"));
    this.#section.querySelector("details").open = isTableOpen;
    const bar = this.#section.querySelector(".zoom");
    bar.hidden = false;
    if (hasZone)
      bar.querySelector(".zone").textContent = `, and below them ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
    bar.addEventListener("click", ({ target }) => this.#step(target.dataset.zoom));
  }

  #columnsOf(plot) {
    return [plot.times ?? this.#data.times, ...linesOf(plot)];
  }

  #drawn(number, figure) {
    const plot = this.#data.plots[number];
    const place = figure.querySelector(".drawing");
    place.hidden = false;
    const series = plot.series.map(({ is_line: isLine }, line) => {
      // The legend has the color; it is replaced when there is news.
      const paint = () => getComputedStyle(figure.querySelectorAll(".legend .dot")[line]).backgroundColor;
      return isLine ? { ...STEPS, stroke: paint, width: 2, dash: [5, 3] } : { ...STEPS, stroke: paint, fill: paint };
    });
    const options = {
      ...this.#common(place, HEIGHT, series),
      axes: [timeAxis(), valueAxis(plot.is_money)],
      cursor: {
        ...cursor(() => this.#zoom(null)),
        sync: {
          key: "run",
          scales: ["x", null],
          filters: { pub: (type) => type === "mousemove" || type === "mouseleave" },
        },
      },
    };
    options.hooks.setCursor = [(u) => this.#showValues(u, number, figure)];
    return new uPlot(options, this.#columnsOf(plot), place);
  }

  #drawnOverview(figure) {
    figure.hidden = false;
    const place = figure.querySelector(".drawing");
    const paint = () => color("--area");
    const series = [{ ...STEPS, stroke: paint, fill: paint }];
    const options = {
      ...this.#common(place, OVERVIEW_HEIGHT, series),
      axes: [{ show: false }, { show: false }],
      cursor: { ...cursor(() => this.#zoom(null)), y: false },
    };
    options.scales.x.range = () => this.#extent();
    return new uPlot(options, [this.#data.times, this.#data.submitted], place);
  }

  /** Return the options that all plots have in common. */
  #common(place, height, series) {
    return {
      width: place.clientWidth || 300,
      height,
      legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      scales: {
        x: { time: true, range: () => this.#zoomed ?? this.#extent() },
        y: { range: (_, least, most) => [0, Math.max(most * 1.05, 1)] },
      },
      series: [{}, ...series],
      hooks: { setSelect: [(u) => this.#select(u)], draw: [(u) => this.#drawMarks(u)] },
    };
  }

  #extent() {
    return [this.#data.times[0], this.#data.times.at(-1)];
  }

  /** Zoom to the part that was dragged over. */
  #select(plot) {
    const { left, width } = plot.select;
    if (width > 0) this.#zoom([plot.posToVal(left, "x"), plot.posToVal(left + width, "x")]);
  }

  #step(action) {
    const [first, last] = this.#zoomed ?? this.#extent();
    const width = last - first;
    switch (action) {
      case "closer":
        return this.#zoom([first + width / 4, last - width / 4]);
      case "wider":
        return this.#zoom([first - width / 2, last + width / 2]);
      case "earlier":
        return this.#zoom([first - width / 2, last - width / 2]);
      case "later":
        return this.#zoom([first + width / 2, last + width / 2]);
      case "all":
        return this.#zoom(null);
      default:
        return undefined;
    }
  }

  /** Show a part of the time, moved into the run if it is not; null for all of it. */
  #zoom(part) {
    const [first, last] = this.#extent();
    const width = part === null ? Infinity : Math.max(part[1] - part[0], SMALLEST_SECONDS);
    const start = part === null ? first : Math.min(Math.max(part[0], first), last - width);
    this.#zoomed = width < last - first ? [start, start + width] : null;
    this.#rescale();
  }

  #rescale() {
    const [min, max] = this.#zoomed ?? this.#extent();
    for (const plot of this.#plots) {
      plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      plot.setScale("x", { min, max });
    }
    const [first, last] = this.#extent();
    this.#overview.setScale("x", { min: first, max: last });
    this.#section.dataset.zoomed = this.#zoomed === null ? "" : "yes";
    // The overview has its new scale only after this turn.
    queueMicrotask(() => this.#showPart());
  }

  /** Mark in the overview the part that the plots show. */
  #showPart() {
    const { height } = this.#overview.over.getBoundingClientRect();
    const [min, max] = this.#zoomed ?? [0, 0];
    const left = this.#zoomed === null ? 0 : this.#overview.valToPos(min, "x");
    const width = this.#zoomed === null ? 0 : this.#overview.valToPos(max, "x") - left;
    this.#overview.setSelect({ left, width, top: 0, height }, false);
  }

  /** Show in the legend what holds at the time under the pointer, or at the position of the page. */
  #showValues(plot, number, figure) {
    const { series, is_money: isMoney } = this.#data.plots[number];
    const place = plot.cursor.left < 0 ? null : (plot.cursor.idxs?.[1] ?? null);
    const shown = figure.querySelectorAll(".legend b");
    series.forEach(({ values, now }, line) => {
      shown[line].textContent = place === null ? now : written(values[place], isMoney);
    });
    const at = plot.posToVal(plot.cursor.left, "x");
    const here = hasZone ? `, ${clock(at, 1)} here` : "";
    const mark = this.#data.marks.findLast(([when]) => Math.abs(plot.valToPos(when, "x") - plot.cursor.left) < NEAR);
    const moment = mark === undefined ? "" : `: ${mark[1]}`;
    figure.querySelector(".when").textContent = place === null ? "" : `at ${clock(at, 1, "UTC")} UTC${here}${moment}`;
  }

  /** Draw a line at each marked moment, and shade what is later than the position of the page. */
  #drawMarks(plot) {
    const { ctx, bbox } = plot;
    const x = (at) => Math.min(Math.max(plot.valToPos(at, "x", true), bbox.left), bbox.left + bbox.width);
    const line = (at, dash) => {
      ctx.setLineDash(dash);
      ctx.beginPath();
      ctx.moveTo(x(at), bbox.top);
      ctx.lineTo(x(at), bbox.top + bbox.height);
      ctx.stroke();
    };
    const { marks, viewed } = this.#data;
    const [first, last] = [plot.scales.x.min, plot.scales.x.max];
    ctx.save();
    ctx.strokeStyle = color("--quiet");
    for (const [at] of marks) if (at > first && at < last) line(at, [2, 4]);
    if (viewed !== null) {
      ctx.fillStyle = color("--card");
      ctx.globalAlpha = 0.65;
      // A line at the right edge is drawn half outside.
      ctx.fillRect(x(viewed), bbox.top, bbox.left + bbox.width + 2 - x(viewed), bbox.height);
      ctx.globalAlpha = 1;
      ctx.strokeStyle = color("--text");
      if (viewed > first && viewed < last) line(viewed, [6, 4]);
    }
    ctx.restore();
  }

  #redraw() {
    for (const plot of [...this.#plots, this.#overview]) plot?.redraw(false);
  }

  #resize() {
    for (const plot of [...this.#plots, this.#overview]) {
      const width = plot?.root.parentElement.clientWidth ?? 0;
      if (width > 0 && width !== plot.width) plot.setSize({ width, height: plot.height });
    }
    if (this.#overview !== null) queueMicrotask(() => this.#showPart());
  }
}

/** Return what has to be the same for plots to be kept: which series they have. */
function shapeOf({ plots }) {
  return JSON.stringify(plots.map(({ series }) => series.map(({ kind }) => kind)));
}

function timeAxis() {
  return {
    stroke: () => color("--quiet"),
    grid: { show: false },
    ticks: { stroke: () => color("--line") },
    size: hasZone ? 46 : 32,
    space: 60,
    values: timeLabels,
  };
}

function valueAxis(isMoney) {
  return {
    stroke: () => color("--quiet"),
    grid: { stroke: () => color("--line"), width: 1 },
    ticks: { show: false },
    size: 48,
    space: 32,
    incrs: COUNTS,
    values: (_, splits) => splits.map((value) => (isMoney ? compact.format(value / 100) : compact.format(value))),
  };
}

/** Return a pointer that drags over times only, and shows the value that held when it points between two. */
function cursor(reset) {
  return {
    y: false,
    drag: { x: true, y: false, setScale: false },
    points: { show: false },
    dataIdx: (u, _, place, at) => (u.data[0][place] > at && place > 0 ? place - 1 : place),
    bind: {
      dblclick: () => () => {
        reset();
        return null;
      },
    },
  };
}
