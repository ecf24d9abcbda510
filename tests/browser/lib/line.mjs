// The line between one page and the gateway: it can be cut, and nobody else notices.
import { once } from "node:events";
import { connect, createServer } from "node:net";

/** A relay on an address of its own. */
export class Line {
  #server;
  #sockets = new Set();
  #isCut = false;

  /** Lays one to an address. */
  static async to(address) {
    const [host, port] = address.split(":");
    const line = new Line();
    line.#server = createServer((near) => line.#join(near, connect(Number(port), host)));
    line.#server.listen(0, host);
    await once(line.#server, "listening");
    line.host = `${host}:${line.#server.address().port}`;
    return line;
  }

  /** Where a page finds the gateway by this line. */
  get origin() {
    return `http://${this.host}`;
  }

  /** Breaks all that is on the line, and lets nothing through. */
  cut() {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Lets everything through again. */
  mend() {
    this.#isCut = false;
  }

  /** Ends it. */
  close() {
    this.cut();
    this.#server.close();
  }

  #join(near, far) {
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ]) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    if (this.#isCut) return near.destroy();
    near.pipe(far).pipe(near);
  }
}
