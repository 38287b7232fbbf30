// A file of its own, so that a fault has to name it and not the one that asked.

export function month(birthday) {
  return birthday.month;
}
