import { type ListingNeeds, Listings } from "./listings.ts";
import type { FileNode } from "./nodes.ts";
import type { Request } from "../request.ts";
import { assertEquals } from "../../../tests/assertions.ts";

/** A watched folder `a/b`. */
function makeFolder(): FileNode {
  const root = { parent: undefined, name: undefined };
  const watch = { folder: 3, descriptor: 1, names: new Map(), firstLook: 0, looks: 0, listedAt: 0 };
  return { parent: { parent: root, name: "a" }, name: "b", watch } as unknown as FileNode;
}

class Fixture {
  readonly asked: string[] = [];
  readonly answered: string[] = [];
  size = 4096;
  mayAsk = true;
  readonly folder = makeFolder();
  readonly listings: Listings;

  constructor() {
    const needs: ListingNeeds = {
      ask: (path) => {
        if (this.mayAsk) this.asked.push(path);
        return this.mayAsk;
      },
      sizeOf: () => this.size,
      answer: (_folder, name) => this.answered.push(name),
    };
    this.listings = new Listings(needs);
  }

  look(times: number, folder = this.folder): void {
    for (let time = 0; time < times; time++) this.listings.looked(folder, 7);
  }

  holds(name: string, folder = this.folder): boolean {
    return this.listings.holds(folder, name, { unique: 5n } as Request);
  }
}

Deno.test("a folder in which name after name is looked up is listed once, and who asks for more waits", () => {
  const fixture = new Fixture();
  const { listings, folder, asked, answered } = fixture;
  assertEquals(fixture.holds("one"), false);
  fixture.look(2);
  assertEquals([asked, listings.waitMs], [[], -1]);
  fixture.look(1);
  assertEquals(asked, ["a/b"]);
  assertEquals([fixture.holds("two"), fixture.holds("three")], [true, true]);
  listings.opened(folder);
  assertEquals([...listings.read(folder)!], ["two", "three"]);
  // what is asked for now may be what the listing waits for
  assertEquals([fixture.holds("four"), answered], [false, []]);
  assertEquals(listings.read(folder), undefined);
  assertEquals([answered, listings.waitMs], [["two", "three"], -1]);
  fixture.look(10);
  assertEquals(asked.length, 1);
});

Deno.test("nobody waits for a listing that does not come, whoever has the folder's lock", () => {
  const fixture = new Fixture();
  const { listings, answered } = fixture;
  const folders = Array.from({ length: 5 }, makeFolder);
  const now = Date.now;
  try {
    let at = now();
    Date.now = () => at;
    for (const [index, folder] of folders.entries()) {
      fixture.look(3, folder);
      // after the fourth in vain nobody is made to wait
      assertEquals(fixture.holds(`${index}`, folder), index < 4);
      listings.opened(folder);
      listings.expire(false);
      assertEquals(answered.length, Math.min(index, 4));
      at += listings.waitMs;
      // the request that it waits for may be there
      listings.expire(true);
      assertEquals(answered.length, Math.min(index, 4));
      listings.expire(false);
      assertEquals(answered.length, Math.min(index + 1, 4));
    }
    at += 20_000;
    const later = makeFolder();
    fixture.look(3, later);
    assertEquals(fixture.holds("later", later), true);
    at += 1000;
    listings.expire(true);
    assertEquals(answered.at(-1), "later");
  } finally {
    Date.now = now;
  }
});

Deno.test("what is too large, not watched or cannot be asked for is not listed", () => {
  const fixture = new Fixture();
  fixture.size = 1 << 20;
  fixture.look(5);
  const unwatched = makeFolder();
  unwatched.watch = undefined;
  fixture.look(5, unwatched);
  fixture.mayAsk = false;
  const other = makeFolder();
  fixture.look(5, other);
  assertEquals([fixture.asked, fixture.holds("x"), fixture.holds("x", other)], [[], false, false]);
  // of one without a path
  fixture.mayAsk = true;
  const nameless = { ...makeFolder(), name: undefined } as FileNode;
  fixture.look(5, nameless);
  assertEquals(fixture.asked, []);
});
