// Asks again and again, ever more slowly, and not at all while nobody looks.

/**
 * @param {object} options
 * @param {() => Promise<boolean>} options.ask resolves to whether to go on; never rejects
 * @param {() => number[]} options.delaysMs how long to wait after each answer; the last value repeats
 * @returns {{ hurry: () => void }} `hurry` asks now and starts the delays from the beginning
 */
export function keepAsking({ ask, delaysMs }) {
  let round = 0;
  let timer = 0;
  let step = 0;

  async function next() {
    const mine = ++round;
    clearTimeout(timer);
    if (document.hidden) {
      return;
    }
    const goOn = await ask();
    if (goOn && mine === round) {
      const delays = delaysMs();
      const delay = delays[Math.min(step++, delays.length - 1)];
      timer = setTimeout(next, delay * (0.9 + Math.random() / 5)); // phones must not ask in step
    }
  }

  function hurry() {
    step = 0;
    next();
  }

  document.addEventListener("visibilitychange", hurry);
  window.addEventListener("online", hurry);
  return { hurry };
}
