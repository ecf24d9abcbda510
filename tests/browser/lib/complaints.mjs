// What a browser writes by itself, whatever the page does.

/** When a connection breaks: what is under way when a gateway is killed ends with a reset, without an answer, or in time. */
export const brokenConnection = [
  /WebSocket connection to .* failed/,
  /ERR_(CONNECTION_(REFUSED|RESET|CLOSED|ABORTED|TIMED_OUT)|SOCKET_NOT_CONNECTED|EMPTY_RESPONSE|TIMED_OUT)/,
];
