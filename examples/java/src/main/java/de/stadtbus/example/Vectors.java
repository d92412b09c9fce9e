package de.stadtbus.example;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Signs and checks everything in docs/wire-signatures.json; leaves with 1 where it differs. */
public final class Vectors {
    private final JsonObject vectors;
    private final Fields fields;
    private final byte[] fingerprint;
    private final byte[] publicKey;
    private final byte[] privateKey;
    private int checked;
    private int wrong;

    private Vectors(JsonObject vectors) {
        this.vectors = vectors;
        String text = vectors.getAsJsonObject("schema").get("text").getAsString();
        fields = new Fields(JsonParser.parseString(text).getAsJsonObject());
        fingerprint = Signatures.sha256(text.getBytes(StandardCharsets.UTF_8));
        JsonObject city = vectors.getAsJsonObject("keys").getAsJsonObject("city");
        publicKey = bytes(city.get("public"));
        privateKey = bytes(city.get("private_pkcs8"));
        same("key id", city.get("id"), Signatures.keyId(publicKey));
        same("fingerprint", vectors.getAsJsonObject("schema").get("fingerprint"), fingerprint);
    }

    /** Runs; the argument is the vectors' file. */
    public static void main(String[] arguments) throws Exception {
        String text = Files.readString(Path.of(arguments[0]));
        Vectors run = new Vectors(JsonParser.parseString(text).getAsJsonObject());
        for (JsonElement event : run.vectors.getAsJsonArray("events")) {
            run.sign(event.getAsJsonObject());
            run.verify(event.getAsJsonObject());
        }
        for (JsonElement forgery : run.vectors.getAsJsonArray("refused")) {
            run.refuse(forgery.getAsJsonObject());
        }
        System.out.println(run.checked + " checked, " + run.wrong + " wrong");
        System.exit(run.wrong == 0 ? 0 : 1);
    }

    private void sign(JsonObject vector) throws Exception {
        String name = vector.get("name").getAsString();
        Event event = event(vector);
        byte[] seed = bytes(vector.get("seed"));
        Map<String, byte[]> contents = event.leaves(fields);
        List<byte[]> salts = Signatures.salts(seed, contents.size());
        List<byte[]> digests = Event.digests(contents, salts, List.of());
        JsonArray leaves = vector.getAsJsonArray("leaves");
        int n = 0;
        for (Map.Entry<String, byte[]> leaf : contents.entrySet()) {
            JsonObject wanted = leaves.get(n).getAsJsonObject();
            same(name + " content of " + leaf.getKey(), wanted.get("content"), leaf.getValue());
            same(name + " salt of " + leaf.getKey(), wanted.get("salt"), salts.get(n));
            same(name + " digest of " + leaf.getKey(), wanted.get("digest"), digests.get(n));
            n++;
        }
        long moment = vectors.get("signed_at_ms").getAsLong();
        byte[] keyId = Signatures.keyId(publicKey);
        byte[] root = Signatures.root(digests);
        byte[] message = Signatures.message(event.claim(fingerprint), keyId, moment, root);
        byte[] signature = Signatures.sign(privateKey, message);
        same(name + " root", vector.get("root"), root);
        same(name + " message", vector.get("message"), message);
        for (JsonElement header : vector.getAsJsonArray("headers")) {
            if (header.getAsJsonArray().get(0).getAsString().equals("stadtbus-signature")) {
                same(name + " signature", header.getAsJsonArray().get(1),
                        Signatures.header(keyId, moment, signature));
            }
        }
    }

    private void verify(JsonObject vector) throws Refused {
        String name = vector.get("name").getAsString();
        Set<String> all = event(vector).check(false, fields, fingerprint, publicKey);
        expect(name + " verifies whole", all.size() == vector.getAsJsonArray("leaves").size());
        for (JsonElement element : vector.getAsJsonArray("parts")) {
            JsonObject part = element.getAsJsonObject();
            Set<String> given = event(part).check(true, fields, fingerprint, publicKey);
            Set<String> wanted = new HashSet<>();
            part.getAsJsonArray("fields").forEach(field -> wanted.add(field.getAsString()));
            expect(name + ", " + part.get("name").getAsString(), given.equals(wanted));
        }
    }

    private void refuse(JsonObject vector) {
        String name = vector.get("name").getAsString();
        String reason = "none: it verifies";
        try {
            event(vector).check(vector.get("is_part").getAsBoolean(), fields, fingerprint, publicKey);
        } catch (Refused refused) {
            reason = refused.reason;
        }
        expect(name + " is refused: " + reason, reason.equals(vector.get("reason").getAsString()));
    }

    private Event event(JsonObject vector) {
        List<Map.Entry<String, byte[]>> headers = new ArrayList<>();
        for (JsonElement header : vector.getAsJsonArray("headers")) {
            JsonArray pair = header.getAsJsonArray();
            headers.add(Map.entry(pair.get(0).getAsString(), bytes(pair.get(1))));
        }
        JsonElement value = vector.get("value");
        return new Event(vectors.get("topic").getAsString(), bytes(vector.get("key")),
                value.isJsonNull() ? null : bytes(value), headers);
    }

    private void same(String what, JsonElement wanted, byte[] found) {
        expect(what, HexFormat.of().formatHex(found).equals(wanted.getAsString()));
    }

    private void expect(String what, boolean holds) {
        checked++;
        if (!holds) {
            wrong++;
            System.err.println("differs: " + what);
        }
    }

    private static byte[] bytes(JsonElement hexadecimal) {
        return HexFormat.of().parseHex(hexadecimal.getAsString());
    }
}
