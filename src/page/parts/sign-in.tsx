import { useState } from "preact/hooks";

interface SignInProps {
  /** Whether the person is being signed in already. */
  isEntering: boolean;
  /** Rejects with what is wrong. */
  onToken(token: string): Promise<void>;
}

/** Asks for the token. The field belongs to a form, so that a password manager can fill it. */
export function SignIn({ isEntering, onToken }: SignInProps) {
  const [complaint, setComplaint] = useState<string>();
  const [isSending, setIsSending] = useState(false);
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const token = new FormData(form).get("token");
    setIsSending(true);
    try {
      await onToken(typeof token === "string" ? token.trim() : "");
    } catch (error) {
      setComplaint((error as Error).message);
      form.reset();
    } finally {
      setIsSending(false);
    }
  };
  if (isEntering)
    return (
      <main class="sign-in">
        <p role="status">Signing in …</p>
      </main>
    );
  return (
    <main class="sign-in">
      <h1>Sign in to Dewey</h1>
      <p class="quiet">
        This server wants its token, the value of <code>DEWEY_TOKEN</code>. On the server’s machine,{" "}
        <code>dewey open</code> signs you in without it.
      </p>
      <form method="post" onSubmit={(event) => void send(event)}>
        <input type="text" name="username" autocomplete="username" value="dewey" hidden readOnly />
        <label for="token">Token</label>
        <input
          class="field"
          id="token"
          name="token"
          type="password"
          autocomplete="current-password"
          required
          autofocus
          aria-describedby="sign-in-complaint"
        />
        <p id="sign-in-complaint" class="complaint" role="alert">
          {complaint}
        </p>
        <button type="submit" class="button primary" disabled={isSending}>
          Sign in
        </button>
      </form>
    </main>
  );
}
