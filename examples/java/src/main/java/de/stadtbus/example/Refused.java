package de.stadtbus.example;

/** An event that is not its source's word; the reason is a word of docs/wire.md. */
final class Refused extends Exception {
    private static final long serialVersionUID = 1L;

    final String reason;

    Refused(String reason) {
        super(reason);
        this.reason = reason;
    }
}
