/** A page of a list, and the ways to its neighbours. */
export class Paginator {
  #next;
  #previous;

  /**
   * @param {any[]} items
   * @param {(() => Promise<Paginator>) | null} next
   * @param {(() => Promise<Paginator>) | null} previous
   */
  constructor(items, next, previous) {
    this.items = items;
    this.#next = next;
    this.#previous = previous;
  }

  get hasNextPage() {
    return this.#next !== null;
  }

  get hasPrevPage() {
    return this.#previous !== null;
  }

  async nextPage() {
    if (!this.#next) throw new Error("there is no next page");
    return this.#next();
  }

  async prevPage() {
    if (!this.#previous) throw new Error("there is no previous page");
    return this.#previous();
  }
}

/**
 * The pages of a list that is read forward by tokens.
 * @param {(token?: string) => Promise<{items: any[], token: string | null}>} fetch
 */
export function pages(fetch) {
  const page = async (token, previous) => {
    const { items, token: following } = await fetch(token);
    const self = () => page(token, previous);
    return new Paginator(items, following ? () => page(following, self) : null, previous);
  };
  return page(undefined, null);
}

/** Everything of a list that is read forward by tokens. */
export async function whole(fetch) {
  const all = [];
  let token;
  do {
    const page = await fetch(token);
    all.push(...page.items);
    token = page.token;
  } while (token);
  return all;
}
