// Calls the gateway's JSON endpoints with the session's token. An answer that is not a success
// becomes an ApiError that says what is wrong and what to do.

import { token, forget } from './session.js';

export class ApiError extends Error {
  /** @param {number} status @param {{error?: string, hint?: string, reason?: string, gap?: boolean}} body */
  constructor(status, body) {
    super(body.error || (status ? `the gateway answered ${status}` : 'the gateway cannot be reached'));
    this.status = status;
    this.hint = body.hint;
    this.reason = body.reason;
    /** The cursor cannot be honoured: the log is another one now. */
    this.gap = body.gap === true;
  }
}

/** @param {string} path @param {{signal?: AbortSignal}} [options] */
export function get(path, options = {}) {
  return call(path, { signal: options.signal });
}

export function post(path, body) {
  return call(path, { method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } });
}

async function call(path, init) {
  const headers = { ...init.headers };
  const bearer = token();
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  const response = await fetch(path, { ...init, headers, cache: 'no-store' }).catch(notReached);
  // Of an answer that says what is wrong, the status does, too.
  const body = await response.json().catch(response.ok ? notReached : () => ({}));
  if (response.status === 401) forget(bearer);
  if (!response.ok || body.success === false) throw new ApiError(response.status, body);
  return body;
}

/** @param {Error} error why there is no answer, or not all of it */
function notReached(error) {
  if (error.name === 'AbortError') throw error;
  throw new ApiError(0, { hint: 'Is steroids-gateway running?' });
}

/** A query string of what is set. */
export function query(parameters) {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== '') search.set(key, value);
  }
  const text = search.toString();
  return text ? `?${text}` : '';
}

/**
 * A task's place in a path, and what the query has to say of it: a segment of dots alone leads
 * elsewhere in every browser, however it is written.
 * @param {string} id @returns {{segment: string, task?: string}}
 */
export function taskPlace(id) {
  return id === '.' || id === '..' ? { segment: '-', task: id } : { segment: encodeURIComponent(id) };
}

/** The address of one of a task's endpoints: `rest` is what comes behind the task. */
export function taskUrl(id, rest, parameters) {
  const { segment, task } = taskPlace(id);
  return `/api/tasks/${segment}${rest}${query({ task, ...parameters })}`;
}

export function invocationUrl(task, invocation, rest, parameters) {
  return taskUrl(task, `/invocations/${invocation}${rest}`, parameters);
}
