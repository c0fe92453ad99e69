// The keys of the time axis, as the help dialog lists them.

/** @type {[string, string][]} */
export const AXIS_KEYS = [
  ['← / →', 'move along the axis'],
  ['+ / −', 'zoom in, out'],
  ['[ / ]', 'previous, next mark'],
  ['Enter', 'go to the mark in the activity'],
  ['0', 'show the whole story'],
];
