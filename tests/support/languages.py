"""Sentences in many languages, for tests of encodings."""

SENTENCES = {
    "Arabic": (
        "ذهبت أمي إلى السوق صباح اليوم واشترت الخبز والزيتون. كان الطريق طويلا لكن الجو جميل. سأل "
        "الولد أباه عن اسم النهر الكبير. في المساء نجلس جميعا ونشرب الشاي ونقرأ قصة قديمة. لا يعرف أحد "
        "متى بنيت هذه المدينة."
    ),
    "Chinese": (
        "今天早上我和妈妈一起去市场买菜。这条路很长，但是天气很好，我们走得不快。弟弟问爸爸那条大河叫什"
        "么名字。晚上大家坐在一起喝茶，听爷爷说他年轻时候的故事。没有人知道这座城市是什么时候建成的，可"
        "是学生们都想知道。"
    ),
    "Chinese, traditional": (
        "今天早上我和媽媽一起去市場買菜。這條路很長，但是天氣很好，我們走得不快。弟弟問爸爸那條大河叫什"
        "麼名字。晚上大家坐在一起喝茶，聽爺爺說他年輕時候的故事。沒有人知道這座城市是什麼時候建成的，可"
        "是學生們都想知道。"
    ),
    "Czech": (
        "Dnes ráno šla maminka na trh a koupila čerstvý chléb. Cesta byla dlouhá, ale počasí bylo "
        "krásné. Chlapec se ptal otce, jak se jmenuje ta velká řeka. Večer sedíme u stolu, pijeme čaj "
        "a čteme příběhy. Žádný člověk neví, kdy bylo město založeno."
    ),
    "French": (
        "Ce matin, ma mère est allée au marché près de l’église et elle a acheté du pain. Le chemin "
        "était très long, mais le ciel était dégagé. Le garçon a demandé à son père où se jetait la "
        "rivière. Après le dîner, les élèves préfèrent lire. Ça ne gêne personne : même le vieux "
        "maître rêve déjà de l’été, là-bas, où naît le fleuve."
    ),
    "German": (
        "Heute früh ging meine Mutter über die Brücke zum Markt und kaufte süße Äpfel. Der Weg war "
        "länger als früher, aber das Wetter war schön. Der Schüler fragte, wie der große Fluß heißt. "
        "Später hören wir Geschichten und trinken heißen Tee. Natürlich weiß niemand, wann die Häuser "
        "gebaut wurden."
    ),
    "Greek": (
        "Σήμερα το πρωί η μητέρα μου πήγε στην αγορά και αγόρασε ψωμί. Ο δρόμος ήταν μακρύς, αλλά ο "
        "καιρός ήταν ωραίος. Το παιδί ρώτησε τον πατέρα του πώς λένε το μεγάλο ποτάμι. Το βράδυ "
        "καθόμαστε όλοι μαζί και διαβάζουμε παλιές ιστορίες."
    ),
    "Hebrew": (
        "הבוקר הלכה אמא שלי לשוק וקנתה לחם וזיתים. הדרך הייתה ארוכה אבל מזג האוויר היה יפה. הילד שאל "
        "את אביו איך קוראים לנהר הגדול. בערב אנחנו יושבים יחד, שותים תה וקוראים סיפור ישן. איש אינו "
        "יודע מתי נבנתה העיר הזאת."
    ),
    "Hungarian": (
        "Ma reggel édesanyám a piacra ment, és friss kenyeret vett. Az út hosszú volt, de az idő "
        "gyönyörű. A fiú megkérdezte apját, hogyan hívják a nagy folyót. Este együtt ülünk, teát "
        "iszunk, és régi történeteket mesélünk. Senki sem tudja, mikor épült ez a különös kőváros a "
        "tűzhegy tövében."
    ),
    "Japanese": (
        "今朝、母は市場へ行って、パンと野菜を買いました。道は長かったけれど、天気はとてもよかったです。"
        "弟は父に、あの大きな川の名前を聞きました。夜になると、みんなで座ってお茶を飲みながら、古い話を"
        "読みます。この町がいつできたのか、だれも知りません。"
    ),
    "Korean": (
        "오늘 아침에 어머니는 시장에 가서 빵과 채소를 사셨다. 길은 멀었지만 날씨가 아주 좋았다. 동생은 "
        "아버지에게 저 큰 강의 이름이 무엇인지 물었다. 저녁이 되면 모두 함께 앉아 차를 마시며 오래된 "
        "이야기를 읽는다. 이 도시가 언제 세워졌는지는 아무도 모른다."
    ),
    "Polish": (
        "Dziś rano moja mama poszła na targ i kupiła świeży chleb. Droga była długa, ale pogoda "
        "okazała się piękna. Chłopiec zapytał ojca, jak się nazywa ta wielka rzeka. Wieczorem siedzimy "
        "przy stole, pijemy herbatę i słuchamy opowieści. Nikt już nie wie, kiedy zbudowano to żółte "
        "miasto, choć uczniowie chcą się dowiedzieć."
    ),
    "Russian": (
        "Сегодня утром моя мама пошла на рынок и купила свежий хлеб. Дорога была длинной, но погода "
        "стояла хорошая. Мальчик спросил отца, как называется эта большая река. Вечером мы сидим "
        "вместе, пьём чай и читаем старые рассказы. Никто не знает, когда был построен этот город."
    ),
    "Spanish": (
        "Esta mañana mi madre fue al mercado y compró pan. El camino era largo, pero el día estaba muy "
        "bonito. El niño le preguntó a su papá cómo se llama el río que pasa por allí. Después nos "
        "sentamos aquí, en el jardín, y leímos otra página. ¿Quién sabe cuándo se construyó esta "
        "pequeña ciudad? Ningún señor lo explicó jamás."
    ),
    "Thai": (
        "เช้าวันนี้แม่ของฉันไปตลาดและซื้อขนมปังกับผัก ถนนยาวมากแต่อากาศดี "
        "เด็กชายถามพ่อว่าแม่น้ำสายใหญ่นั้นชื่ออะไร ตอนเย็นเรานั่งด้วยกัน ดื่มชาและอ่านเรื่องเก่า "
        "ไม่มีใครรู้ว่าเมืองนี้สร้างขึ้นเมื่อไร"
    ),
    "Turkish": (
        "Bu sabah annem çarşıya gidip taze ekmek aldı. Yol uzundu ama hava çok güzeldi. Çocuk babasına "
        "büyük ırmağın adını sordu. Akşam hep birlikte oturup çay içiyor, eski öyküler okuyoruz. Bu "
        "şehrin ne zaman kurulduğunu hiç kimse bilmiyor."
    ),
    "Ukrainian": (
        "Сьогодні вранці моя мама пішла на ринок і купила свіжий хліб. Дорога була довга, але погода "
        "стояла гарна. Хлопчик запитав батька, як називається ця велика річка. Увечері ми сидимо "
        "разом, п’ємо чай і читаємо старі оповідання. Ніхто не знає, коли збудували це місто."
    ),
}


def text_in(language: str, encoding: str, num_bytes: int) -> bytes:
    """Return about `num_bytes` of text in a language, a sentence a line; some signs are lost."""
    end = "。" if "。" in SENTENCES[language] else ". "
    sentences = [f"{sentence.strip(' .。')}." for sentence in SENTENCES[language].split(end)]
    lines, number = list[bytes](), 0
    while sum(map(len, lines)) < num_bytes:
        lines.append(f"{number} {sentences[number * 3 % len(sentences)]}\n".encode(encoding, "ignore"))
        number += 1
    return b"".join(lines)
