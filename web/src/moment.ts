// Times for tables and charts full of them, and for the fields that a person types them in.

const two = (n: number) => String(n).padStart(2, "0");

/** The clock today, month and day in this year. */
export function moment(ms: number | null, now: number): string {
  if (ms === null) return "—";
  const [at, today] = [new Date(ms), new Date(now)];
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}`;
  const date = `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  if (at.toDateString() === today.toDateString()) return clock;
  return at.getFullYear() === today.getFullYear() ? `${date} ${clock}` : `${at.getFullYear()}-${date} ${clock}`;
}

/** A time as <input type="datetime-local"> writes it, and back. */
export function written(ms: number): string {
  const at = new Date(ms);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

export const read = (text: string): number => new Date(text).getTime();
