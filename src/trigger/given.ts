type WhereGiven<Fields> = { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> };

/** The fields that have a value: an absent one has no key either. */
export function whereGiven<Fields extends object>(fields: Fields): WhereGiven<Fields> {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as WhereGiven<Fields>;
}
