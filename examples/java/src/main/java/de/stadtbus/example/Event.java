package de.stadtbus.example;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** A record with a signature, from a shared topic or from a feed. */
final class Event {
    private static final int FRAME = 5;
    private static final Set<String> COVERED = Set.of("ce_specversion", "content-type", "ce_id",
            "ce_source", "ce_type", "ce_time", "ce_subject", "stadtbus-signature",
            "stadtbus-salts", "stadtbus-municipality",
            "stadtbus-seq", "traceparent", "tracestate"); // the last three may change on their way

    private final String topic;
    private final byte[] key;
    private final byte[] data;
    private final Map<String, byte[]> headers = new HashMap<>();
    private final boolean twice;

    /** Takes a record apart: topic of the contract, key, value or null, headers. */
    Event(String topic, byte[] key, byte[] value, List<Map.Entry<String, byte[]>> headers) {
        this.topic = topic;
        this.key = key;
        this.data = value == null ? null : Arrays.copyOfRange(value, FRAME, value.length);
        headers.forEach(header -> this.headers.put(header.getKey(), header.getValue()));
        this.twice = this.headers.size() != headers.size();
    }

    /** Returns the contents of the event's leaves, in their order; everything has to be there. */
    Map<String, byte[]> leaves(Fields fields) throws Refused {
        List<Boolean> all = new ArrayList<>();
        fields.names.forEach(name -> all.add(true));
        return contents(fields, Set.of(), data == null ? null : fields.split(data));
    }

    Signatures.Claim claim(byte[] fingerprint) throws Refused {
        if (!Arrays.equals(needed("ce_specversion"), utf8("1.0"))
                || !Arrays.equals(needed("content-type"), utf8("application/avro"))) {
            throw new Refused("altered");
        }
        byte[] type = needed("ce_type");
        if (!Arrays.equals(type, utf8(topic))) {
            throw new Refused("other-topic");
        }
        return new Signatures.Claim(type, needed("ce_id"), needed("ce_source"),
                needed("ce_time"), data == null ? new byte[0] : fingerprint);
    }

    /**
     * Returns the names of what was given, once the signature has proved it.
     *
     * @param onFeed whether the record is a feed's
     * @param fields of the contract's schema
     * @param fingerprint SHA-256 of the contract's schema's text
     * @param publicKey the source's
     */
    Set<String> check(boolean onFeed, Fields fields, byte[] fingerprint, byte[] publicKey)
            throws Refused {
        if (twice) {
            throw new Refused("malformed-signature");
        }
        if (!headers.containsKey("stadtbus-signature")) {
            throw new Refused("unsigned");
        }
        if (!onFeed) {
            for (String name : headers.keySet()) {
                boolean beside = name.equals("stadtbus-municipality") && data != null;
                if (!COVERED.contains(name) || beside) {
                    throw new Refused("uncovered-header");
                }
            }
        }
        Signatures.Claim claim = claim(fingerprint);
        byte[] mark = needed("stadtbus-signature");
        if (mark.length != Signatures.HEADER || mark[0] != 1) {
            throw new Refused("malformed-signature");
        }
        byte[] keyId = Arrays.copyOfRange(mark, 1, 1 + Signatures.KEY_ID);
        long moment = ByteBuffer.wrap(mark).getLong(1 + Signatures.KEY_ID);
        byte[] signature = Arrays.copyOfRange(mark, Signatures.HEADER - 64, Signatures.HEADER);

        Map<String, byte[]> contents = onFeed ? part(fields) : leaves(fields);
        List<byte[]> digests = onFeed ? digestsOfPart(contents) : digestsOfWhole(contents);
        if (!Arrays.equals(keyId, Signatures.keyId(publicKey))) {
            throw new Refused("wrong-key");
        }
        byte[] message = Signatures.message(claim, keyId, moment, Signatures.root(digests));
        if (!Signatures.verifies(publicKey, message, signature)) {
            throw new Refused("altered");
        }
        contents.values().removeIf(content -> content == null);
        return contents.keySet();
    }

    private List<byte[]> digestsOfWhole(Map<String, byte[]> contents) throws Refused {
        byte[] header = needed("stadtbus-salts");
        if (header.length != 1 + Signatures.SEED || header[0] != 1) {
            throw new Refused("malformed-signature");
        }
        byte[] seed = Arrays.copyOfRange(header, 1, header.length);
        return digests(contents, Signatures.salts(seed, contents.size()), List.of());
    }

    private List<byte[]> digestsOfPart(Map<String, byte[]> contents) throws Refused {
        int withheld = (int) contents.values().stream().filter(content -> content == null).count();
        int given = contents.size() - withheld;
        byte[] salts = needed("stadtbus-salts");
        byte[] digests = needed("stadtbus-digests");
        if (salts.length != 1 + given * Signatures.SALT || salts[0] != 2
                || digests.length != withheld * Signatures.DIGEST) {
            throw new Refused("malformed-signature");
        }
        return digests(contents,
                Signatures.cut(Arrays.copyOfRange(salts, 1, salts.length), Signatures.SALT),
                Signatures.cut(digests, Signatures.DIGEST));
    }

    static List<byte[]> digests(
            Map<String, byte[]> contents, List<byte[]> salts, List<byte[]> withheld) {
        var salt = salts.iterator();
        var digest = withheld.iterator();
        List<byte[]> digests = new ArrayList<>();
        contents.forEach((name, content) -> digests.add(content == null
                ? digest.next()
                : Signatures.digest(salt.next(), name, content)));
        return digests;
    }

    private Map<String, byte[]> part(Fields fields) throws Refused {
        String listed = new String(needed("stadtbus-withheld"), StandardCharsets.UTF_8);
        List<String> withheld = listed.isEmpty() ? List.of() : List.of(listed.split(",", -1));
        List<String> names = new ArrayList<>(List.of("@key", "@subject"));
        names.addAll(data == null ? List.of("@municipality") : fields.names);
        if (!names.stream().filter(withheld::contains).toList().equals(withheld)) {
            throw new Refused("malformed-signature");
        }
        List<Boolean> given = fields.names.stream().map(name -> !withheld.contains(name)).toList();
        List<byte[]> pieces = data == null ? null : fields.splitFeed(data, given);
        return contents(fields, Set.copyOf(withheld), pieces);
    }

    private Map<String, byte[]> contents(Fields fields, Set<String> withheld, List<byte[]> pieces)
            throws Refused {
        Map<String, byte[]> contents = new LinkedHashMap<>();
        byte[] subject = headers.get("ce_subject");
        byte[] about = subject == null
                ? new byte[] {0}
                : Signatures.join(List.of(new byte[] {1}, subject));
        contents.put("@key", withheld.contains("@key") ? null : key);
        contents.put("@subject", withheld.contains("@subject") ? null : about);
        if (data == null) {
            boolean hidden = withheld.contains("@municipality");
            contents.put("@municipality", hidden ? null : needed("stadtbus-municipality"));
            return contents;
        }
        for (int n = 0; n < pieces.size(); n++) {
            contents.put(fields.names.get(n), pieces.get(n));
        }
        return contents;
    }

    private byte[] needed(String name) throws Refused {
        byte[] value = headers.get(name);
        if (value == null) {
            throw new Refused("malformed-signature");
        }
        return value;
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
