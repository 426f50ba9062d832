/**
 * Times as they are shown, in the user's time zone.
 *
 * @module
 */

/** Formats an ISO 8601 time; with the date if it is not today. */
export function shownMoment(time: string, now: Date): string {
  const moment = new Date(time);
  if (Number.isNaN(moment.getTime())) return "at an unknown time";
  const day = calendarDate(moment);
  return day === calendarDate(now) ? clockTime(moment) : `${day} ${clockTime(moment)}`;
}

/** `HH:MM`. */
export function clockTime(date: Date): string {
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** `YYYY-MM-DD`. */
export function calendarDate(date: Date): string {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
