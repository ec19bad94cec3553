/** Types of the embed script, /embed/v1.js. A change to what is here is a breaking change, and would be v2. */

export interface LeadgateConsent {
  /** Lets the first touch of the session be kept in this page's sessionStorage; false forgets it. */
  analytics?: boolean;
  [purpose: string]: boolean | undefined;
}

export interface Leadgate {
  /** Looks for new [data-leadgate-form] elements now; it also happens by itself. There once the script is. */
  mount?(): void;
  /** What the visitor has agreed to, or has taken back; may be called again at any time. */
  consent(given: LeadgateConsent): void;
  /** What a page's own stand-in was told before the script came, which takes it over. */
  given?: LeadgateConsent;
}

/** What a form says. There is no personal data in any of it. */
export interface LeadgateMessage {
  source: "leadgate";
  v: 1;
  /** Of a frame; a page's own form has none. */
  embedId?: string;
  formId: string;
}

export type LeadgateFrameMessage = LeadgateMessage &
  (
    | { type: "form-ready"; title?: string; parameters?: string }
    | { type: "form-started" }
    | { type: "form-height-changed"; height: number }
    | { type: "form-validation-failed"; count: number }
    | { type: "form-sending" }
    | { type: "form-submit"; id: string; reference: string; conversion: boolean }
    | { type: "form-error"; code: string | number; detail?: string }
    | { type: "form-redirect"; url: string }
  );

/** What the page tells its frame, when it is ready and whenever something changes. */
export interface LeadgateContext extends LeadgateMessage {
  type: "context";
  /** Without fragment, and of the query only campaign parameters. */
  pageUrl: string;
  /** The page of another site that the visitor came from. */
  referrer?: string;
  params: Record<string, string>;
  lang?: string;
  fields: Record<string, string>;
  receiver?: string;
  consent: LeadgateConsent;
}

type Said<Type extends LeadgateFrameMessage["type"]> = CustomEvent<Extract<LeadgateFrameMessage, { type: Type }>>;
type Callback<Type extends LeadgateFrameMessage["type"]> = (
  element: HTMLElement,
  said: Extract<LeadgateFrameMessage, { type: Type }>
) => void;

/** They bubble from the element with data-leadgate-form. */
interface LeadgateEvents {
  "leadgate:ready": Said<"form-ready">;
  "leadgate:started": Said<"form-started">;
  "leadgate:validation-failed": Said<"form-validation-failed">;
  "leadgate:sending": Said<"form-sending">;
  "leadgate:submit": Said<"form-submit">;
  "leadgate:error": Said<"form-error">;
  "leadgate:redirect": Said<"form-redirect">;
}

declare global {
  interface Window {
    leadgate?: Leadgate;
    onFormReady?: Callback<"form-ready">;
    onBeforeFormSubmit?: Callback<"form-sending">;
    /** About to be sent. */
    onFormSubmit?: Callback<"form-sending">;
    /** Accepted by the server, and on its disk. */
    onFormSubmitted?: Callback<"form-submit">;
    onFormSubmitError?: Callback<"form-error">;
  }
  interface HTMLElementEventMap extends LeadgateEvents {}
  interface DocumentEventMap extends LeadgateEvents {}
  interface WindowEventMap extends LeadgateEvents {}
}
