/**
 * Times as they are shown, in the user's time zone.
 *
 * @module
 */

const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

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

/** Such as `Saturday, 28 November`. @param at In ms since 1970. */
export function dayName(at: number): string {
  const date = new Date(at);
  return `${DAYS[date.getDay()]}, ${date.getDate()} ${MONTHS[date.getMonth()]}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
