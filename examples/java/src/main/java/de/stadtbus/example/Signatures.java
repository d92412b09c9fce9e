package de.stadtbus.example;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/** Digests, message and signature of an event: docs/wire.md, "Signatures", steps 2 to 6. */
final class Signatures {
    static final int SEED = 32;
    static final int SALT = 16;
    static final int DIGEST = 32;
    static final int KEY_ID = 16;
    static final int HEADER = 1 + KEY_ID + 8 + 64;

    /** What of an event everybody sees: topic, ce_id, ce_source, ce_time, the schema's fingerprint. */
    record Claim(byte[] topic, byte[] id, byte[] source, byte[] time, byte[] fingerprint) {}

    private static final byte[] PUBLIC_PREFIX = HexFormat.of().parseHex("302a300506032b6570032100");

    private Signatures() {}

    static List<byte[]> salts(byte[] seed, int count) {
        ByteArrayOutputStream stream = new ByteArrayOutputStream();
        for (int n = 0; stream.size() < count * SALT; n++) {
            stream.writeBytes(hash("SHA-512", ascii("stadtbus-salts-1\0"), seed, number(n)));
        }
        return cut(stream.toByteArray(), SALT).subList(0, count);
    }

    static byte[] digest(byte[] salt, String name, byte[] content) {
        byte[] text = name.getBytes(StandardCharsets.UTF_8);
        return hash("SHA-256", ascii("stadtbus-leaf-1\0"), salt, number(text.length), text, content);
    }

    static byte[] root(List<byte[]> digests) {
        return hash("SHA-256", ascii("stadtbus-root-1\0"), number(digests.size()), join(digests));
    }

    static byte[] message(Claim claim, byte[] keyId, long moment, byte[] root) {
        byte[] at = ByteBuffer.allocate(8).putLong(moment).array();
        List<byte[]> message = new ArrayList<>(List.of(ascii("stadtbus-event-1\0")));
        for (byte[] part : List.of(claim.topic, claim.id, claim.source, claim.time,
                claim.fingerprint, keyId, at, root)) {
            message.add(number(part.length));
            message.add(part);
        }
        return join(message);
    }

    /** Returns the value of the header stadtbus-signature. */
    static byte[] header(byte[] keyId, long moment, byte[] signature) {
        byte[] at = ByteBuffer.allocate(8).putLong(moment).array();
        return join(List.of(new byte[] {1}, keyId, at, signature));
    }

    static byte[] keyId(byte[] publicKey) {
        return Arrays.copyOf(hash("SHA-256", publicKey), KEY_ID);
    }

    static byte[] sign(byte[] pkcs8, byte[] message) throws GeneralSecurityException {
        PrivateKey key =
                KeyFactory.getInstance("Ed25519").generatePrivate(new PKCS8EncodedKeySpec(pkcs8));
        Signature signature = Signature.getInstance("Ed25519");
        signature.initSign(key);
        signature.update(message);
        return signature.sign();
    }

    static boolean verifies(byte[] publicKey, byte[] message, byte[] signed) {
        try {
            byte[] encoded = join(List.of(PUBLIC_PREFIX, publicKey));
            PublicKey key =
                    KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(encoded));
            Signature signature = Signature.getInstance("Ed25519");
            signature.initVerify(key);
            signature.update(message);
            return signature.verify(signed);
        } catch (GeneralSecurityException wrong) {
            return false; // no key, or not the form of a signature
        }
    }

    static byte[] sha256(byte[] data) {
        return hash("SHA-256", data);
    }

    static List<byte[]> cut(byte[] data, int size) {
        List<byte[]> pieces = new ArrayList<>();
        for (int at = 0; at < data.length; at += size) {
            pieces.add(Arrays.copyOfRange(data, at, at + size));
        }
        return pieces;
    }

    static byte[] join(List<byte[]> parts) {
        ByteArrayOutputStream whole = new ByteArrayOutputStream();
        parts.forEach(whole::writeBytes);
        return whole.toByteArray();
    }

    private static byte[] number(int value) {
        return ByteBuffer.allocate(4).putInt(value).array();
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    private static byte[] hash(String algorithm, byte[]... parts) {
        try {
            MessageDigest digest = MessageDigest.getInstance(algorithm);
            for (byte[] part : parts) {
                digest.update(part);
            }
            return digest.digest();
        } catch (GeneralSecurityException missing) {
            throw new IllegalStateException(missing); // every JDK has both
        }
    }
}
